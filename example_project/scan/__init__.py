"""An agent that needs no model and no network: it scans a directory for security problems.

Read `agent.py` first: it is what uses the checkpoint store. The other files know nothing of it:

* `files.py`: which files there are
* `rules.py`: what is looked for; `text_rules.py` and `python_rules.py`: how it is found
* `search.py`: reads the files and applies the rules
* `report.py`, `progress.py`: what a person sees
"""
