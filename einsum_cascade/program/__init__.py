"""The program that the cycle model and the sequencer of the array both execute, and what they are built from."""
