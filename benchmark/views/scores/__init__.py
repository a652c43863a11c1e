"""The scores: table, heat map, curves along the hidden states, bars of the labels."""
