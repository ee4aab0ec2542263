module rollproof/lab/bounded-runc

go 1.24.0
