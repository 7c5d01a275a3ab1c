"""What models and Verilog of the array share: its shape and numbers, registers, programs, memory, and their rules.

Nothing here knows a cascade, a mapping or a schedule.
"""
