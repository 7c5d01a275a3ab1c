"""When every operation of the periodic steady state happens: bounds, schedulers, a checker and a printer."""
