"""The program that records a camera inside the sandbox. Nothing imports it."""
