"""The array in Verilator beside its model: builds, benches, and what they find."""
