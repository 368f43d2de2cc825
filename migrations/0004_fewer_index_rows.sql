CREATE TABLE `log_minute` (
	`workspace_id` text NOT NULL,
	`minute` integer NOT NULL,
	`run_id` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `minute`, `run_id`)
) WITHOUT ROWID;
--> statement-breakpoint
INSERT INTO `log_minute` (`workspace_id`, `minute`, `run_id`) SELECT DISTINCT `workspace_id`, `first_timestamp` - `first_timestamp` % 60000000, `run_id` FROM `log_segment`;--> statement-breakpoint
DROP INDEX `log_segment_time`;--> statement-breakpoint
DROP INDEX `flow_run_deployment`;--> statement-breakpoint
CREATE INDEX `flow_run_deployment` ON `flow_run` (`workspace_id`,`deployment_id`,coalesce("start_time", "expected_start_time")) WHERE deployment_id is not null;--> statement-breakpoint
CREATE TABLE `__new_event_segment` (
	`workspace_id` text NOT NULL,
	`hour` integer NOT NULL,
	`id` text NOT NULL,
	`first_occurred` integer NOT NULL,
	`last_occurred` integer NOT NULL,
	`event_count` integer NOT NULL,
	`counts` text NOT NULL,
	`consumed` integer NOT NULL,
	`resources` text NOT NULL,
	`run_event_ids` text NOT NULL,
	`events` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `hour`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
INSERT INTO `__new_event_segment` (`workspace_id`, `hour`, `id`, `first_occurred`, `last_occurred`, `event_count`, `counts`, `consumed`, `resources`, `run_event_ids`, `events`)
SELECT s.`workspace_id`, s.`hour`, s.`id`, s.`first_occurred`, s.`last_occurred`, s.`event_count`, s.`counts`, s.`consumed`,
	coalesce(found.`resources`, '[]'),
	(SELECT json_group_array(e.value ->> 'id') FROM json_each(s.`events`) e WHERE e.value -> 'resource' ->> 'prefect.resource.id' LIKE 'prefect.flow-run.%'),
	s.`events`
FROM `event_segment` s
LEFT JOIN (SELECT `workspace_id`, `hour`, `segment_id`, json_group_array(`resource_id`) AS `resources` FROM `event_resource` GROUP BY 1, 2, 3) found
	ON found.`workspace_id` = s.`workspace_id` AND found.`hour` = s.`hour` AND found.`segment_id` = s.`id`;--> statement-breakpoint
DROP TABLE `event_segment`;--> statement-breakpoint
ALTER TABLE `__new_event_segment` RENAME TO `event_segment`;--> statement-breakpoint
CREATE INDEX `event_segment_waiting` ON `event_segment` (`id`) WHERE consumed = 0;--> statement-breakpoint
CREATE TABLE `__new_event_resource` (
	`workspace_id` text NOT NULL,
	`resource_id` text NOT NULL,
	`hour` integer NOT NULL,
	`first_id` text NOT NULL,
	`last_id` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `resource_id`, `hour`, `first_id`)
) WITHOUT ROWID;
--> statement-breakpoint
INSERT INTO `__new_event_resource` (`workspace_id`, `resource_id`, `hour`, `first_id`, `last_id`) SELECT `workspace_id`, `resource_id`, `hour`, `segment_id`, `segment_id` FROM `event_resource`;--> statement-breakpoint
DROP TABLE `event_resource`;--> statement-breakpoint
ALTER TABLE `__new_event_resource` RENAME TO `event_resource`;--> statement-breakpoint
CREATE TABLE `flow_run_count` (
	`workspace_id` text PRIMARY KEY NOT NULL,
	`before` integer NOT NULL,
	`count` integer NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TRIGGER `flow_run_counted_insert` AFTER INSERT ON `flow_run`
WHEN coalesce(new.start_time, new.expected_start_time) < (SELECT c.before FROM flow_run_count c WHERE c.workspace_id = new.workspace_id)
BEGIN
	UPDATE flow_run_count SET count = count + 1 WHERE workspace_id = new.workspace_id;
END;
--> statement-breakpoint
CREATE TRIGGER `flow_run_counted_delete` AFTER DELETE ON `flow_run`
WHEN coalesce(old.start_time, old.expected_start_time) < (SELECT c.before FROM flow_run_count c WHERE c.workspace_id = old.workspace_id)
BEGIN
	UPDATE flow_run_count SET count = count - 1 WHERE workspace_id = old.workspace_id;
END;
--> statement-breakpoint
CREATE TRIGGER `flow_run_counted_update` AFTER UPDATE OF `start_time`, `expected_start_time` ON `flow_run`
WHEN coalesce(coalesce(new.start_time, new.expected_start_time) < (SELECT c.before FROM flow_run_count c WHERE c.workspace_id = new.workspace_id), 0)
	<> coalesce(coalesce(old.start_time, old.expected_start_time) < (SELECT c.before FROM flow_run_count c WHERE c.workspace_id = old.workspace_id), 0)
BEGIN
	UPDATE flow_run_count SET count = count
		+ coalesce(coalesce(new.start_time, new.expected_start_time) < before, 0)
		- coalesce(coalesce(old.start_time, old.expected_start_time) < before, 0)
	WHERE workspace_id = new.workspace_id;
END;
