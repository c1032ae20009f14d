"""The command line: one module for each command, with its flags (`add`) and its work (`run`)."""
