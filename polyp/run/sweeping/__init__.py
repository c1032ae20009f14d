"""Many runs over a grid of settings, or many folders of pictures, on one machine or on a laboratory's."""
