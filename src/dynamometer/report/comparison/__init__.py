"""A Comparison becomes text: for the terminal, Markdown, CSV, JSON, HTML. Pure. The names are those of ``report``."""
