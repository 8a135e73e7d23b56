"""An agent that needs no model and no network: it scans a directory for security problems.

Read `agent.py` first: it is a graph of `obsku_checkpoint.graph`, kept in a checkpoint store. `transcript.py` says what
it writes into its messages, `history.py` shows what is stored. The other files know nothing of a store:

* `files.py`: which files there are
* `rules.py`: what is looked for; `text_rules.py` and `python_rules.py`: how it is found
* `search.py`: reads the files and applies the rules
* `report.py`, `progress.py`, `question.py`: what a person sees, and is asked
"""
