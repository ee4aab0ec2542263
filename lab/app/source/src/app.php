<?php
// What every answer needs: who answers, in which version, and as what.
declare(strict_types=1);

/** The git short sha, written into the image when it is built. */
function version(): string
{
    $baked = @file_get_contents(__DIR__ . '/../VERSION');
    return $baked === false ? 'unknown' : trim($baked);
}

function pod(): string
{
    return (string) gethostname();
}

/** @param array<string, mixed> $body */
function answer(int $status, array $body): void
{
    http_response_code($status);
    header('Content-Type: application/json');
    header('Cache-Control: no-store');
    echo json_encode($body, JSON_UNESCAPED_SLASHES), "\n";
}
