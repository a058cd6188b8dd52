"""The nouns of Dynamometer: frozen values without behaviour that needs a clock, a disk or a network."""
