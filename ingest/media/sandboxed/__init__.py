"""Programs that run inside the sandbox, alone with one hostile file. Nothing imports them."""
