"""The commands of `liuhen`, one module each."""
