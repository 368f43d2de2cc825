CREATE TABLE `flow_run_state_page` (
	`workspace_id` text NOT NULL,
	`flow_run_id` text NOT NULL,
	`ordinal` integer NOT NULL,
	`state_ids` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `flow_run_id`, `ordinal`)
) WITHOUT ROWID;
