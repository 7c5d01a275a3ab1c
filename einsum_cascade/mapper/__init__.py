"""Which mapping is taken: plans that fit, and costs of many tilings at once."""
