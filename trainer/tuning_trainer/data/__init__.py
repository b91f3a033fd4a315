"""From the data settings to tensors: sources read, `split` divides, encoders turn rows into numbers, `prepare` does all
three.
"""
