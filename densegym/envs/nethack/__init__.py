"""NetHack and MiniHack worlds."""
