<?php
// The road to the database. Where it is comes from config.php (a ConfigMap); who we are comes from the environment (a Secret).
declare(strict_types=1);

const CONFIG = '/etc/angelpay/config.php';

function connect(): PDO
{
    $config = require CONFIG;
    return new PDO(
        sprintf('mysql:host=%s;port=%d;dbname=%s;charset=utf8mb4', $config['host'], $config['port'], $config['name']),
        (string) getenv('DB_USER'),
        (string) getenv('DB_PASS'),
        [
            PDO::ATTR_TIMEOUT => $config['connect_timeout_s'],
            PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
            PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
        ]
    );
}
