"""What a hardware engineer gets beside the Verilog of an array: register maps, memory images, a bench, a driver."""
