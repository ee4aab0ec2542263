module rollproof/lab/pause

go 1.24.0
