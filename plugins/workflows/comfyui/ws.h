/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ws.h - ComfyUI's WebSocket, /ws?clientId=..., as a stream of its text messages.
 *
 * Pings are answered, and sent where ComfyUI is silent: a peer that does not answer one is gone. Nothing is sent but
 * those and the close.
 */
#ifndef COMFYUI_WS_H
#define COMFYUI_WS_H

#include <bp/plugin.h>

struct ws;

/* Connects to url (http: or https:) and shakes hands, within timeout_ms. NULL: err says why. */
struct ws *ws_open(const char *url, const char *client_id, int32_t timeout_ms, struct bp_err *err);
/* The next text message, borrowed until the next call, or (*text is NULL) none within timeout_ms. An error: the
 * connection is over, err says why; close it. */
int32_t ws_next(struct ws *w, int32_t timeout_ms, const char **text, size_t *n, struct bp_err *err);
/* Says good-bye without waiting for an answer; NULL is taken. */
void ws_close(struct ws *w);

#endif
