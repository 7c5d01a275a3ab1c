"""The cycle models of the array: values to the bit, times to the cycle."""
