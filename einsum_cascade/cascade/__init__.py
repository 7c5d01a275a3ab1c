"""The language: syntax, parser, builder, checker, intermediate representation, printers, interpreter."""
