"""Architectures: memory levels, engines, components with their energy and area.

Nothing here knows what runs on an architecture, or when.
"""
