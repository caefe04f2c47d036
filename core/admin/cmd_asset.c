/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_asset.c - commands about the files that workflows need. */
#include "admin_priv.h"

#include "log/json.h"

void cmd_asset_upload(struct admin_call *c)
{
    dispatch_asset_upload(c->app->dispatch, json_member(c->params, "body"), call_answer, c);
}

void cmd_asset_check(struct admin_call *c)
{
    const char *slug = json_str(c->params, "workflow", "");
    if (!host_workflow(c->app->host, slug))
        unknown_workflow(c, slug);
    else
        dispatch_assets_check(c->app->dispatch, slug, call_answer, c);
}
