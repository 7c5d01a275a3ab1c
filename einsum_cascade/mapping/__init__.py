"""Mappings: what runs where, in which loops, and which level keeps which tensor.

Any cascade on any architecture: nothing here knows the word attention. When things run is decided in `schedule`.
"""
