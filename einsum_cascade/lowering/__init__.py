"""From what the array does of a cascade, by way of a schedule, to its programs; and what the host does between them."""
