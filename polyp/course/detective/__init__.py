"""Notebook 10's game: programs that are broken on purpose, the clues that show it, and the case files.

Whoever reads on before the cases are closed knows the culprits.
"""
