"""How a question becomes a prompt and an answer a completion: the one `PromptSpec` that all engines share."""
