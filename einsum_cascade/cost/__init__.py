"""What a mapping costs: accesses, bytes, actions, energy, cycles, area.

Nothing here decides when anything runs, and nothing here knows the figures of any paper.
"""
