<?php
// A scheduled job: every replica starts it every minute, exactly one does the work of that minute.
//
// The lock alone is not enough: the replica that comes a moment later would get it after the first has let go.
// So whoever holds the lock looks whether this period is done before doing it.
declare(strict_types=1);

require __DIR__ . '/../src/app.php';
require __DIR__ . '/../src/database.php';

const LOCK_WAIT_S = 20;

/** cron starts us with an empty environment; the entrypoint has kept the container's. */
function load_environment(): void
{
    foreach (explode("\0", (string) file_get_contents('/run/angelpay/environment')) as $line) {
        if ($line !== '') {
            putenv($line);
        }
    }
}

/** @return array{orders: int, amount_cents: int} */
function order_statistics(PDO $database): array
{
    $row = $database->query('SELECT COUNT(*) AS orders, COALESCE(SUM(amount_cents), 0) AS amount_cents FROM orders')->fetch();
    return ['orders' => (int) $row['orders'], 'amount_cents' => (int) $row['amount_cents']];
}

/** Settles what is not settled yet; a second run of the same period would find nothing. @return array{orders: int, amount_cents: int} */
function settlement(PDO $database, string $period): array
{
    $open = $database->query(
        'SELECT COUNT(*) AS orders, COALESCE(SUM(amount_cents), 0) AS amount_cents FROM orders WHERE settled_in IS NULL'
    )->fetch();
    $database->prepare('UPDATE orders SET settled_in = ? WHERE settled_in IS NULL')->execute([$period]);
    return ['orders' => (int) $open['orders'], 'amount_cents' => (int) $open['amount_cents']];
}

function run(string $job, PDO $database, string $period): bool
{
    $done = $database->prepare('SELECT COUNT(*) FROM job_runs WHERE job = ? AND period = ?');
    $done->execute([$job, $period]);
    if ((int) $done->fetchColumn() > 0) {
        return false;
    }
    $database->beginTransaction();
    $started = gmdate('Y-m-d H:i:s');
    $result = $job === 'settlement' ? settlement($database, $period) : order_statistics($database);
    $database->prepare(
        'INSERT INTO job_runs (job, period, pod, version, started_at, finished_at, orders, amount_cents)'
        . ' VALUES (?, ?, ?, ?, ?, ?, ?, ?)'
    )->execute([$job, $period, pod(), version(), $started, gmdate('Y-m-d H:i:s'), $result['orders'], $result['amount_cents']]);
    $database->commit();
    return true;
}

$job = $argv[1] ?? '';
if (!in_array($job, ['order-statistics', 'settlement'], true)) {
    fwrite(STDERR, "job: unknown job '$job'\n");
    exit(2);
}
$period = gmdate('Y-m-d H:i:00');
try {
    load_environment();
    $database = connect();
    // Locks are the server's, not the database's: the name keeps two installations on one server apart.
    $lock = $database->query('SELECT DATABASE()')->fetchColumn() . ":job:$job";
    $take = $database->prepare('SELECT GET_LOCK(?, ?)');
    $take->execute([$lock, LOCK_WAIT_S]);
    if ((int) $take->fetchColumn() !== 1) {
        fwrite(STDERR, "job $job $period: another replica holds the lock\n");
        exit(0);
    }
    fwrite(STDERR, "job $job $period: " . (run($job, $database, $period) ? 'done' : 'another replica did it') . "\n");
} catch (Throwable $error) {
    fwrite(STDERR, "job $job $period: " . $error->getMessage() . "\n");
    exit(1);
}
