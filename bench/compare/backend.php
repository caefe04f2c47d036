<?php
// SPDX-License-Identifier: Apache-2.0
// A backend as it is written in PHP: the worker protocol, a process for each request, one transaction for each request.
// A lease is SELECT ... FOR UPDATE without SKIP LOCKED in the server's default isolation, and a worker that finds nothing
// polls again later. Kinder to PHP than most: no framework, connections that last, a deadlock retried, and the job's and
// the dispatch's rows in one transaction. Tables: backend.sql. The database is named by BENCH_DSN.
declare(strict_types=1);

const LEASE_S = 900;
const MAX_ATTEMPTS = 3;

class Refusal extends Exception
{
}

function db(): PDO
{
    static $db;
    return $db ??= new PDO(getenv('BENCH_DSN'), 'root', '', [
        PDO::ATTR_PERSISTENT => true, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC]);
}

function run(string $sql, array $values): PDOStatement
{
    $statement = db()->prepare($sql);
    $statement->execute($values);
    return $statement;
}

function row(string $sql, array $values): ?array
{
    return run($sql, $values)->fetch() ?: null;
}

/** What $work returns, in one transaction; deadlocks and lock timeouts are tried five times. */
function transaction(callable $work): mixed
{
    for ($try = 1;; $try++) {
        db()->beginTransaction();
        try {
            $result = $work();
            db()->commit();
            return $result;
        } catch (Throwable $e) {
            if (db()->inTransaction()) {
                db()->rollBack();
            }
            $again = $e instanceof PDOException && in_array($e->errorInfo[1] ?? 0, [1205, 1213], true);
            if (!$again || $try === 5) {
                throw $again ? new Refusal('Busy.', 503) : $e;
            }
        }
    }
}

function bearer(): string
{
    return hash('sha256', preg_replace('/^Bearer /i', '', $_SERVER['HTTP_AUTHORIZATION'] ?? ''));
}

function worker(): array
{
    $worker = row('SELECT * FROM comfy_ui_workers WHERE token_hash = ?', [bearer()]);
    if (!$worker || !$worker['is_approved']) {
        throw new Refusal($worker ? 'Worker not approved.' : 'Unauthorized.', 401);
    }
    return $worker;
}

function need(array $input, string ...$keys): void
{
    foreach ($keys as $key) {
        if (!isset($input[$key])) {
            throw new Refusal("$key is required.", 422);
        }
    }
}

function audit(string $worker, string $event, ?int $dispatch): void
{
    run('INSERT INTO worker_audit_logs (worker_id, event, dispatch_id, ip, created_at) VALUES (?, ?, ?, ?, NOW())',
        [$worker, $event, $dispatch, $_SERVER['REMOTE_ADDR'] ?? null]);
}

function register(array $input): array
{
    if (!hash_equals('bench-secret', $_SERVER['HTTP_X_FLEET_SECRET'] ?? '')) {
        throw new Refusal('Unauthorized.', 401);
    }
    need($input, 'worker_id', 'workflow_slugs');
    return transaction(function () use ($input) {
        $token = bin2hex(random_bytes(32));
        run('INSERT INTO comfy_ui_workers (worker_id, token_hash, max_concurrency, last_seen_at) VALUES (?, ?, ?, NOW())',
            [$input['worker_id'], hash('sha256', $token), $input['max_concurrency'] ?? 1]);
        $id = db()->lastInsertId();
        foreach ($input['workflow_slugs'] as $slug) {
            run('INSERT INTO worker_workflows SELECT ?, id FROM workflows WHERE slug = ?', [$id, $slug]);
        }
        audit($input['worker_id'], 'registered', null);
        return [200, ['worker_id' => $input['worker_id'], 'token' => $token], 'Worker registered'];
    });
}

function deregister(array $input): array
{
    $worker = worker();
    run('DELETE FROM worker_workflows WHERE worker_id = ?', [$worker['id']]);
    run('DELETE FROM comfy_ui_workers WHERE id = ?', [$worker['id']]);
    return [200, null, 'Worker deregistered'];
}

function submit(array $input): array
{
    need($input, 'workflow');
    $tenant = row('SELECT tenant_id FROM tenant_tokens WHERE token_hash = ?', [bearer()]) ?? throw new Refusal('Unauthenticated.', 401);
    $workflow = row('SELECT id FROM workflows WHERE slug = ? AND deleted_at IS NULL', [$input['workflow']]) ?? throw new Refusal('No such workflow.', 422);
    return transaction(function () use ($input, $tenant, $workflow) {
        run('INSERT INTO ai_jobs (tenant_id, input_payload, created_at) VALUES (?, ?, NOW())', [$tenant['tenant_id'], json_encode($input['params'] ?? [])]);
        $job = db()->lastInsertId();
        run('INSERT INTO ai_job_dispatches (tenant_id, tenant_job_id, workflow_id, created_at, updated_at) VALUES (?, ?, ?, NOW(), NOW())',
            [$tenant['tenant_id'], $job, $workflow['id']]);
        return [201, ['id' => (int)db()->lastInsertId(), 'status' => 'queued'], 'Job submitted'];
    });
}

function lease(array $worker, string $token): ?array
{
    $workflows = array_column(run('SELECT workflow_id FROM worker_workflows JOIN workflows ON id = workflow_id AND deleted_at IS NULL
        WHERE worker_id = ?', [$worker['id']])->fetchAll(), 'workflow_id');
    if (!$workflows) {
        return null;
    }
    $dispatch = row("SELECT * FROM ai_job_dispatches WHERE provider IN ('self_hosted') AND attempts < ?
        AND (status = 'queued' OR (status = 'leased' AND lease_expires_at IS NOT NULL AND lease_expires_at <= NOW()))
        AND workflow_id IN (" . implode(',', array_fill(0, count($workflows), '?')) . ')
        ORDER BY priority DESC, created_at ASC LIMIT 1 FOR UPDATE', [MAX_ATTEMPTS, ...$workflows]);
    if ($dispatch) {
        run("UPDATE ai_job_dispatches SET status = 'leased', worker_id = ?, lease_token = ?, lease_expires_at = NOW() + INTERVAL ? SECOND,
            attempts = attempts + 1, updated_at = NOW() WHERE id = ?", [$worker['worker_id'], $token, LEASE_S, $dispatch['id']]);
    }
    return $dispatch;
}

function poll(array $input): array
{
    $worker = worker();
    need($input, 'worker_id');
    return transaction(function () use ($worker, $input) {
        run('UPDATE comfy_ui_workers SET max_concurrency = ?, current_load = ?, last_seen_at = NOW(), last_ip = ? WHERE id = ?',
            [$input['max_concurrency'] ?? 1, $input['current_load'] ?? 0, $_SERVER['REMOTE_ADDR'] ?? null, $worker['id']]);
        if ($worker['is_draining']) {
            return [200, ['job' => null], 'Worker draining'];
        }
        $token = vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split(bin2hex(random_bytes(16)), 4));
        $dispatch = lease($worker, $token);
        if (!$dispatch) {
            return [200, ['job' => null], 'No jobs available'];
        }
        run("UPDATE ai_jobs SET status = 'processing', started_at = COALESCE(started_at, NOW()) WHERE id = ?", [$dispatch['tenant_job_id']]);
        $job = row('SELECT input_payload FROM ai_jobs WHERE id = ?', [$dispatch['tenant_job_id']]);
        audit($worker['worker_id'], 'poll', (int)$dispatch['id']);
        return [200, ['job' => ['dispatch_id' => (int)$dispatch['id'], 'lease_token' => $token, 'lease_expires_at' => gmdate('c', time() + LEASE_S),
            'provider' => $dispatch['provider'], 'tenant_id' => $dispatch['tenant_id'], 'job_id' => (int)$dispatch['tenant_job_id'],
            'input_payload' => json_decode($job['input_payload'])]], 'Job leased'];
    });
}

function complete(array $input): array
{
    worker();
    need($input, 'dispatch_id', 'lease_token');
    return transaction(function () use ($input) {
        $dispatch = row('SELECT * FROM ai_job_dispatches WHERE id = ?', [$input['dispatch_id']]);
        if (!$dispatch || $dispatch['lease_token'] !== $input['lease_token']) {
            throw new Refusal('Lease not found.', 404);
        }
        run("UPDATE ai_jobs SET status = 'completed', completed_at = NOW(), provider_job_id = ?, output = ? WHERE id = ?",
            [$input['provider_job_id'] ?? null, json_encode($input['output'] ?? null), $dispatch['tenant_job_id']]);
        run("UPDATE ai_job_dispatches SET status = 'completed', updated_at = NOW(),
            duration_seconds = TIMESTAMPDIFF(SECOND, created_at, NOW()) WHERE id = ?", [$dispatch['id']]);
        audit($input['worker_id'] ?? $dispatch['worker_id'], 'complete', (int)$dispatch['id']);
        return [200, ['job_id' => (int)$dispatch['tenant_job_id']], 'Job completed'];
    });
}

const ROUTES = ['/api/jobs' => 'submit', '/api/worker/register' => 'register', '/api/worker/poll' => 'poll',
    '/api/worker/complete' => 'complete', '/api/worker/deregister' => 'deregister'];

try {
    $handler = ROUTES[$_SERVER['REQUEST_URI']] ?? throw new Refusal('Not found.', 404);
    [$code, $data, $message] = $handler(json_decode(file_get_contents('php://input'), true) ?? []);
    $answer = ['success' => true, 'data' => $data, 'message' => $message];
} catch (Refusal $e) {
    [$code, $answer] = [$e->getCode(), ['success' => false, 'message' => $e->getMessage()]];
} catch (Throwable $e) {
    error_log((string)$e);
    [$code, $answer] = [500, ['success' => false, 'message' => 'An unexpected error occurred. Please try again or contact support.']];
}
http_response_code($code);
header('Content-Type: application/json');
echo json_encode($answer);
