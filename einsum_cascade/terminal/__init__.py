"""What the command line needs beside its commands: reading arguments and drawing tables."""
