CREATE TABLE `deployment_version` (
	`workspace_id` text NOT NULL,
	`deployment_id` text NOT NULL,
	`ordinal` integer NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`archived` integer,
	`content` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `deployment_id`, `ordinal`)
) WITHOUT ROWID;
--> statement-breakpoint
ALTER TABLE `deployment` DROP COLUMN `version_id`;--> statement-breakpoint
INSERT INTO `deployment_version` (`workspace_id`, `deployment_id`, `ordinal`, `id`, `created`, `content`)
SELECT d.`workspace_id`, d.`id`, 1,
	lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' ||
		substr('89ab', 1 + abs(random() % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
	d.`updated`,
	json_object('version', d.version, 'version_info', json(d.version_info), 'description', d.description, 'tags', json(d.tags),
		'labels', json(d.labels), 'path', d.path, 'entrypoint', d.entrypoint, 'pull_steps', json(d.pull_steps),
		'parameters', json(d.parameters), 'parameter_openapi_schema', json(d.parameter_openapi_schema),
		'enforce_parameter_schema', d.enforce_parameter_schema, 'job_variables', json(d.job_variables),
		'work_queue_id', d.work_queue_id, 'work_queue_name', d.work_queue_name,
		'storage_document_id', d.storage_document_id, 'infrastructure_document_id', d.infrastructure_document_id)
FROM `deployment` d;
