"""What can be said of a cascade before any hardware is chosen: passes, footprints, operations, traffic."""
