"""What an engine can do beside running jobs: look at a recipe's data, check a model. `tunedeck engine ENGINE VERB RECIPE`.

An engine offers verbs by a table in its module, `VERBS = {"show-mask": "engines.jepa.show_mask:show_mask"}`, of commands
that are made with `engines.verbs.request.verb`. They run in a process of their own, with the training stack at hand.
"""
