CREATE TABLE orders (
  id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  amount_cents INT UNSIGNED NOT NULL,
  settled_in DATETIME NULL
);
-- No unique key on (job, period) on purpose: a second run of the same period must be seen, not prevented here.
CREATE TABLE job_runs (
  id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  job VARCHAR(40) NOT NULL,
  period DATETIME NOT NULL,
  pod VARCHAR(80) NOT NULL,
  version VARCHAR(40) NOT NULL,
  started_at DATETIME NOT NULL,
  finished_at DATETIME NOT NULL,
  orders INT UNSIGNED NOT NULL,
  amount_cents BIGINT UNSIGNED NOT NULL,
  KEY (job, period)
);
INSERT INTO orders (amount_cents) VALUES (1990), (4500), (12900), (250), (8800), (31000), (745), (6400);
