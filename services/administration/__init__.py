"""What an administrator of the older backends does: users, their quotas, coupons, other administrators."""
