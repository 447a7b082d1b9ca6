"""One streaming task a file; a file that is put here is known by its name."""
