"""The networks: VGG features, the multi-style network, the style encoder, the guided filter."""
