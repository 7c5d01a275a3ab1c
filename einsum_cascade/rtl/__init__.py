"""The array in Amaranth: components, and the generator of its Verilog."""
