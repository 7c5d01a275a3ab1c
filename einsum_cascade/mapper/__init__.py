"""Which mapping is taken: presets, the plain mapping, plans that fit, and costs of many tilings at once."""
