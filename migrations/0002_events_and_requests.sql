CREATE TABLE "disowned_addresses" (
	"email_canonical" text COLLATE "C" PRIMARY KEY NOT NULL,
	"until" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "reset_requests" (
	"id" uuid PRIMARY KEY NOT NULL,
	"email_canonical" text COLLATE "C" NOT NULL,
	"requested_at" timestamp (3) with time zone NOT NULL,
	"ip" text,
	"user_agent" text
);
--> statement-breakpoint
DROP INDEX "sessions_expires_at_idx";--> statement-breakpoint
ALTER TABLE "events" ADD COLUMN "actor_id" uuid;--> statement-breakpoint
ALTER TABLE "mails" ADD COLUMN "state" text;--> statement-breakpoint
CREATE INDEX "reset_requests_requested_at_idx" ON "reset_requests" USING btree ("requested_at");--> statement-breakpoint
CREATE INDEX "mails_recipient_idx" ON "mails" USING btree ("recipient","kind","created_at");--> statement-breakpoint
CREATE INDEX "sessions_idle_expires_at_idx" ON "sessions" USING btree ("idle_expires_at");--> statement-breakpoint
CREATE INDEX "users_unconfirmed_idx" ON "users" USING btree ("created_at") WHERE "users"."confirmed_at" is null;--> statement-breakpoint
CREATE INDEX "users_administrators_idx" ON "users" USING btree ("id") WHERE "users"."role" = 'admin';