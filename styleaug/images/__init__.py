"""Reading, writing, converting and checking images."""
