"""What of a cascade the array can do: works recognised by what they compute, and why others are not the array's."""
