"""What runs read and made: datasets and models as inputs, models as outputs."""
