<?php
// The one entry point of the web pools: picks the answer by path. Needs no database, except where the path says so.
declare(strict_types=1);

require __DIR__ . '/../src/app.php';
require __DIR__ . '/../src/database.php';

const SLOW_LIMIT_MS = 2000;

$path = (string) parse_url($_SERVER['REQUEST_URI'] ?? '/', PHP_URL_PATH);
$method = $_SERVER['REQUEST_METHOD'] ?? 'GET';

switch ($path) {
    case '/':
        page();
        break;
    case '/health':
        answer(200, ['status' => 'ok', 'version' => version(), 'pod' => pod()]);
        break;
    case '/ready':
        ready();
        break;
    case '/echo':
        $method === 'POST' ? answer(200, ['version' => version(), 'pod' => pod(), 'ok' => true])
            : answer(405, ['error' => 'POST only']);
        break;
    case '/slow':
        slow();
        break;
    case '/jobs':
        jobs();
        break;
    default:
        answer(404, ['error' => "no such path: $path"]);
}

function page(): void
{
    header('Content-Type: text/html; charset=utf-8');
    $version = htmlspecialchars(version());
    $pod = htmlspecialchars(pod());
    echo "<!doctype html><title>AngelPay</title><h1>AngelPay</h1><p>Version <code>$version</code> on <code>$pod</code></p>\n";
}

/** Ready means that a query comes back, not that a connection could be opened. */
function ready(): void
{
    try {
        connect()->query('SELECT COUNT(*) FROM orders')->fetchColumn();
        answer(200, ['status' => 'ready', 'database' => 'ok', 'version' => version(), 'pod' => pod()]);
    } catch (Throwable $error) {
        error_log('ready: ' . $error->getMessage());
        answer(503, ['status' => 'unready', 'database' => 'down', 'version' => version(), 'pod' => pod()]);
    }
}

/** A request that takes as long as it is asked to, so that a rollout meets requests in flight. */
function slow(): void
{
    $wanted = filter_var($_GET['ms'] ?? '300', FILTER_VALIDATE_INT);
    if ($wanted === false || $wanted < 0) {
        answer(400, ['error' => 'ms must be a whole number of milliseconds']);
        return;
    }
    $slept = min($wanted, SLOW_LIMIT_MS);
    usleep($slept * 1000);
    answer(200, ['version' => version(), 'pod' => pod(), 'slept_ms' => $slept]);
}

/** What cron did: the newest run of each job, and the recent runs one by one. */
function jobs(): void
{
    try {
        $rows = connect()->query(
            'SELECT job, period, pod, version, started_at, finished_at, orders, amount_cents'
            . ' FROM job_runs ORDER BY id DESC LIMIT 60'
        )->fetchAll();
    } catch (Throwable $error) {
        error_log('jobs: ' . $error->getMessage());
        answer(503, ['database' => 'down']);
        return;
    }
    $last = [];
    foreach ($rows as $row) {
        $last[$row['job']] ??= $row;
    }
    answer(200, ['version' => version(), 'pod' => pod(), 'last' => (object) $last, 'runs' => $rows]);
}
