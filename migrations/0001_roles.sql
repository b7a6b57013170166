INSERT INTO "roles" ("name") VALUES ('user'), ('admin');
