"""The pages of entities and facts: what agents know, who said it, and what it is connected with."""
