"""Features of pictures that nobody trains here: pixels, random convolutions, ImageNet's network."""
